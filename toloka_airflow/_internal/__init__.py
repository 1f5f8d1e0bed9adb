"""What the modules of this package share; nothing here is part of its public interface."""
