"""``make chaos``: rounds of labelling on a fleet that is disturbed, and a judgement over what Toloka wrote down."""
