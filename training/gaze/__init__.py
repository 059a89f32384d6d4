"""The embedded gaze predictor: its training on recordings of people's eyes, and how it scores beside all others."""
