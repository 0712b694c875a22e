"""Floor 4: rule tables, analyses, and the pipeline that orders them."""
