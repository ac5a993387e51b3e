-- The account on whose behalf a transaction reads and writes; row-level security of the serving role compares with it (`roles.py`).
CREATE FUNCTION runtime.account_id() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('kaipiao.account_id', true), '')::bigint
$$;
