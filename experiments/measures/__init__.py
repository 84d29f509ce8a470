"""What is measured on images: contours, noise, hybrids, times of entry."""
