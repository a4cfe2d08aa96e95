"""The intermediate representation: dimensions, meshes, layouts, types, operators and the deployment graph."""
