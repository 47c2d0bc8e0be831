"""Weather events on maps: classes of images, and where a network sees them."""
