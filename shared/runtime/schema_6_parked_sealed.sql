-- What a parked record holds is sealed with a key of the service (`parking.py`): key, value and headers in one. Rows of versions before have
-- them in clear, until the tending has sealed them. `forgotten_at`: its account was erased, and the record with it.
ALTER TABLE runtime.parked ADD COLUMN sealed bytea, ADD COLUMN forgotten_at timestamptz;
