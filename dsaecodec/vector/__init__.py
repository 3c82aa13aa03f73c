"""The vector family: the model of Li & Mandt (2018) for small aligned pictures of one size.

    frames ─ posterior ─► f, z_1:T ─ ÷ steps, prior ─► symbols ─ × steps ─ synthesis ─► frames

f and z_t are vectors. Their priors are integer networks (`prior`), all else is float.
"""
