"""Sources of images: synthetic ones, CIFAR files and folders of classes."""
