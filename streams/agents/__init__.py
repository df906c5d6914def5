"""The three stages: detect (lines to slices), decide (facts to decisions), dispatch (decisions to commands)."""
