"""A protocol: JSON over HTTP, with callbacks that are signed. Its words, codes and numbers are known in this folder only."""
