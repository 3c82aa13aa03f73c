"""Training: from footage, or from what is drawn, to weights that the codec uses.

config      what a run is, read from presets/*.toml
footage     files → shots            drawn, packed, moving_photos: other sources
sampler     shots → clips            chance: all random numbers
stages      what a step computes     objective, optimizer, symbols
trainer     the loop                 team, folder, judge, pictures, interrupts
"""
