"""What every service must know of the world: rates, entities, calendar, checks. Pure: no input or output beyond the files here."""
