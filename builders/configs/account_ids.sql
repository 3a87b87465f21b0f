-- The ids that the views hold, each view read once: a single statement over all of them would hold every view in memory
-- at the same time.
CREATE OR REPLACE TEMP TABLE candidate_ids AS SELECT solution_id, verdict, excluded FROM candidate;
CREATE OR REPLACE TEMP TABLE positive_ids AS SELECT solution_id FROM positive;
CREATE OR REPLACE TEMP TABLE negative_ids AS SELECT solution_id, origin FROM negative;
CREATE OR REPLACE TEMP TABLE loser_ids AS SELECT solution_id, has_pit, turn FROM loser;
CREATE OR REPLACE TEMP TABLE pair_ids AS SELECT rejected_id AS solution_id, rule FROM pair;
CREATE OR REPLACE TEMP TABLE step_pair_ids AS SELECT rejected_id AS solution_id, mode, repeats FROM step_pair;
CREATE OR REPLACE TEMP TABLE annotated_ids AS SELECT DISTINCT solution_id, left_out FROM annotated;
CREATE OR REPLACE TEMP TABLE placed_ids AS
SELECT solution_id, bool_and(step_place = 'unreached') AS unreached FROM placed GROUP BY solution_id;
