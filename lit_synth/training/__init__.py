"""Lightning's verbs over YAML files."""
