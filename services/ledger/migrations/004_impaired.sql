-- Who holds an item, when a refund hits it.
CREATE INDEX reservation_item_held ON reservation_item (owner_id, item_id) WHERE reserved_fen > invoiced_fen + released_fen;
