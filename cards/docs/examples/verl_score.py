"""The scoring function for verl, which imports this file by its path, and the options that name it and the tasks.

    python -m verl.trainer.main_ppo algorithm.adv_estimator=grpo \\
        data.train_files=releases/NAME/v1.0.0/rl_verl/train-00000-of-00001.parquet \\
        data.val_files=releases/NAME/v1.0.0/rl_verl/test-00000-of-00001.parquet \\
        custom_reward_function.path=verl_score.py custom_reward_function.name=compute_score

The recipe names the config: `release: {configs: [rl, rl_verl]}`. Later versions of verl write
`reward.custom_reward_function`.
"""

from stepforge.pipelines.answers import compute_score

__all__ = ["compute_score"]
