-- A few rows to look at, for a trial or development database. Running it again adds nothing.

INSERT INTO robots (name, model) VALUES
    ('Ada', 'arm-2'),
    ('Grace', 'rover-1')
ON CONFLICT (name) DO NOTHING;

INSERT INTO conversations (robot_id, title)
SELECT robots.id, seed.title
FROM (VALUES
    ('Ada', 'Where is the screwdriver?'),
    ('Ada', 'Second shift'),
    ('Grace', 'The way to the charging station')
) AS seed (robot, title)
JOIN robots ON robots.name = seed.robot
WHERE NOT EXISTS (SELECT FROM conversations);

INSERT INTO activation_codes (code, robot_id, expires_at)
SELECT 'TRIAL-' || upper(name), id, now() + interval '30 days'
FROM robots
WHERE name IN ('Ada', 'Grace')
ON CONFLICT (code) DO NOTHING;
