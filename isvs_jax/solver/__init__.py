"""The path: from the differences between pixels to the smoothed image."""
