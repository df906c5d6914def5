"""How good detection and forecasts are on labelled public data: ``logmend score nab|servers|faults|run-to-failure``.

Needs the dependency group ``evaluation``. Nothing that runs in production imports this package.
"""
