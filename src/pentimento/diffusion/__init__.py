"""Diffusion as free functions over `Noise = (x_t, t) -> eps`: no words, no folders, no devices."""
