"""From a specification to draws: arrays for the samplers, and their draws by name."""
