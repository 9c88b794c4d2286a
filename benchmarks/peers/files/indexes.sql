CREATE INDEX IF NOT EXISTS idx_activation_codes_status ON activation_codes (status);
CREATE INDEX IF NOT EXISTS idx_activation_codes_expires_at ON activation_codes (expires_at);
CREATE INDEX IF NOT EXISTS idx_conversations_robot_id ON conversations (robot_id);
CREATE INDEX IF NOT EXISTS idx_conversations_created_at ON conversations (created_at DESC);
