-- The steps that weigh, before their weights are scaled, each with its place.
CREATE OR REPLACE TEMP TABLE weighed AS SELECT solution_id, step_index, step_place AS place, raw FROM weight
