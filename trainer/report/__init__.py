"""What people look at: pictures, cards and pages."""
