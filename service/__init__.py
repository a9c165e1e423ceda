"""ExoScore: clinical scoring of exosome (extracellular vesicle) biomarker panels."""

__version__ = "0.1.0"
