-- One JSON value from LiteLLM's tables: today, the last seven days by hour, and which settings the database has.
-- "startTime" is UTC without a zone; days and hours are those of the zone @ZONE@.
WITH clock AS (
  SELECT now() AT TIME ZONE '@ZONE@' AS here, date_trunc('day', now() AT TIME ZONE '@ZONE@') AS midnight
), week AS (
  SELECT spend, total_tokens, status, model, model_group, custom_llm_provider, api_key,
         "startTime" AT TIME ZONE 'UTC' AT TIME ZONE '@ZONE@' AS here
  FROM "LiteLLM_SpendLogs"
  WHERE "startTime" >= (SELECT (midnight - interval '7 days') AT TIME ZONE '@ZONE@' AT TIME ZONE 'UTC' FROM clock)
), today AS (
  SELECT * FROM week WHERE here >= (SELECT midnight FROM clock)
)
SELECT json_build_object(
  'day', (SELECT to_char(here, 'YYYY-MM-DD') FROM clock),
  'spend', (SELECT COALESCE(SUM(spend), 0) FROM today),
  'requests', (SELECT COUNT(*) FROM today),
  'failed', (SELECT COUNT(*) FROM today WHERE status = 'failure'),
  'tokens', (SELECT COALESCE(SUM(total_tokens), 0) FROM today),
  'aliases', (SELECT COALESCE(json_agg(row), '[]') FROM (
    SELECT json_build_object('alias', COALESCE(NULLIF(model_group, ''), model), 'spend', SUM(spend),
                             'requests', COUNT(*), 'tokens', COALESCE(SUM(total_tokens), 0)) AS row
    FROM today GROUP BY COALESCE(NULLIF(model_group, ''), model)) AS aliases),
  'models', (SELECT COALESCE(json_agg(row), '[]') FROM (
    SELECT json_build_object('model', model, 'provider', custom_llm_provider, 'spend', SUM(spend)) AS row
    FROM today GROUP BY model, custom_llm_provider) AS models),
  'keys', (SELECT COALESCE(json_agg(row), '[]') FROM (
    SELECT json_build_object('alias', t.key_alias, 'hash', left(d.api_key, 40), 'spend', SUM(d.spend)) AS row
    FROM today d LEFT JOIN "LiteLLM_VerificationToken" t ON t.token = d.api_key
    GROUP BY t.key_alias, left(d.api_key, 40)) AS keys),
  'hours', (SELECT COALESCE(json_agg(row), '[]') FROM (
    SELECT json_build_object('day', to_char(here, 'YYYY-MM-DD'), 'hour', to_char(here, 'HH24'), 'spend', SUM(spend))
           AS row
    FROM week GROUP BY to_char(here, 'YYYY-MM-DD'), to_char(here, 'HH24')) AS hours),
  'settings', (SELECT COALESCE(json_agg(param_name), '[]') FROM "LiteLLM_Config")
)
