-- Where the weight of `weighted` lies: share by place of the step.
SELECT step_place AS place, sum(weight) / sum(sum(weight)) OVER () AS share FROM weight GROUP BY place ORDER BY place
