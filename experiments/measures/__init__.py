"""What is measured on images: what smoothing keeps, the noise of an image, hybrids, times of entry."""
