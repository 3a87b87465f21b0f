-- What deduplication and measures ask of a solution. Two texts are the same once Unicode is composed and white space
-- folded; keys are the first 64 bits of a hash, compared within a problem only (10,000 samples: odds of 1 in 10^11).
-- counts: a missing answer or a truncation is a failure; a verifier's time-out, say, is no outcome at all.
CREATE TEMP TABLE sample AS
SELECT solution_id, problem_id, generator, solutions.file_row_number AS position,
       coalesce(complete, false) AS complete,
       verdict = 'correct' AS correct, is_outcome(verdict, reason) AS counts,
       answer_key, completion_tokens, length(solution) AS characters,
       md5_number_lower(trim(regexp_replace(nfc_normalize(solution), '\s+', ' ', 'g'))) AS text_key,
       coalesce(md5_number_lower(equation_key), text_key) AS equation_key
FROM solutions JOIN verdicts USING (solution_id)
