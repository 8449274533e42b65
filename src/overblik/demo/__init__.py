"""The synthetic population and its story; no name of it stands anywhere else."""
