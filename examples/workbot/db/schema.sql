-- Tables of the reference service. Applied once, by the owner of the database; running it again changes nothing.
-- The secondary indexes are not here: they are declared to, and built by, whoever runs the database.

CREATE TABLE IF NOT EXISTS robots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    model text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS conversations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    robot_id bigint NOT NULL REFERENCES robots (id) ON DELETE CASCADE,
    title text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS activation_codes (
    code text PRIMARY KEY,
    robot_id bigint NOT NULL REFERENCES robots (id) ON DELETE CASCADE,
    status text NOT NULL DEFAULT 'unused' CHECK (status IN ('unused', 'used', 'revoked')),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
