-- A request may come to an offset and no invoice (D-11), or be made to pay a deficit only.
ALTER TABLE request DROP CONSTRAINT request_method_check;
ALTER TABLE request ADD CONSTRAINT request_method_check
    CHECK (method IN ('by_order', 'by_monthly_bill', 'by_amount', 'offset'));
ALTER TABLE request DROP CONSTRAINT request_status_check;
ALTER TABLE request ADD CONSTRAINT request_status_check CHECK (status IN
    ('reserving', 'refused', 'invoicing', 'invoiced', 'partly_issued', 'failed', 'voided', 'offset_only'));
