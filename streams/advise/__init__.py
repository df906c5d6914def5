"""Opinions of models and rules on what to do, and nothing that acts."""
