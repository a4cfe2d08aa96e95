"""Files out: geometry of the pictures, DOT, SVG, JSON, and tables on the terminal."""
