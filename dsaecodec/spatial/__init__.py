"""The spatial family: ordinary video of any size; latents are feature maps.

model       all parts, and quantization steps      prior         p(f), p(z_t | z_<t), exact
posterior   q(f | x), q(z_t | x_t, f)               synthesis     p(x_t | z_t, f)
motion      classical flow for the posterior       code_length   bits of known symbols
gop_coder   symbols through a coder, both ways     refine        latents by descent
gop_encoder, gop_decoder   frames ⇄ one GOP        pictures      frames ⇄ tensors
latents     a GOP's latents as arrays
"""
