"""Logmend's pipeline: detect, decide, dispatch, act."""
