"""The parts of `benchmarks/rd_curve.py`, in the order data flows.

sources ─► Clip ─ codec ─► Coded ─ measure ─► Point ─► bd ─► tables, plots, report
"""
