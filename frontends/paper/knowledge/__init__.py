"""What is known beside a paper: a folder of files, opened read-only, that fills what the paper leaves out.

folder     files → facts with their files, rules, and what hinders reading one
filling    which of those facts say something that the paper does not; nothing overrides it
rules      sentences → what a house demands of deployments, or claims of the world (rules.yaml, `wording`)
"""
