"""What would have been decided under another configuration, and what that would have been worth.

``refold`` folds the recorded facts a second time, with the candidate in force; ``differing`` compares what both folds
decide; ``draws`` collects the choices by chance with what came of them, ``estimates`` says from these what the
candidate's choices would have brought; ``run`` puts all of it together.
"""
