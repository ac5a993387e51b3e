-- What explains why an item is not what was spent: the price before vouchers, what vouchers paid, and who invoices such orders.
ALTER TABLE item ADD COLUMN order_type text, ADD COLUMN list_fen bigint, ADD COLUMN voucher_fen bigint;
