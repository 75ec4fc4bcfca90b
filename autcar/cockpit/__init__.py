"""The cockpit: the page in a browser from which a person drives, records and looks back."""
