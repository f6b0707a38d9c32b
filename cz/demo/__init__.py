"""The demonstration: a believable fortnight of six agents, then the agents themselves, live, with incidents."""
