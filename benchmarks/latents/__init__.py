"""Small latent models of 64×64 clips: baselines of one size, trained alike, that code real bytes.

model      what f and z_t are, and their priors
pictures   frames to features, and vectors to frames
objective  what training minimizes
clips      what they are trained on: drawn characters and balls
train      the trainer: `python -m benchmarks.latents.train`
store      weights as files
coding     clips to bytes and back
head       what a payload begins with
"""
