"""The pool: worker processes of one host that run actions from the catalogue, and nothing else."""
