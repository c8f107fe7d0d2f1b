"""Knowledge tools that see: detectors, captioners, segmenters, readers of text, and what they share."""
