"""How each constituency votes, hour by hour, by what its smart contract was told.

Rules of the chain: a vote is accepted if it was not taken back (`rollback` is -1), and its changes
have a key that begins with `VOTE_` and none that begins with `FAIL`. Case and underscore count.
"""

from csv_pipeline.spec.derived import DerivedColumn, DerivedTable, LineChart

CONSTITUENCY_METRICS = DerivedTable(
    name="constituency_metrics",
    description="Voting in each constituency, hour by hour: registered voters, ballots issued, "
    "votes cast, accepted and rejected, and turnout so far.",
    columns=(
        DerivedColumn(name="contract_id", type="text", description="the constituency's contract"),
        DerivedColumn(name="hour", type="timestamp", description="the hour that begins then, UTC"),
        DerivedColumn(
            name="constituency", type="text", description="its name, where folders tell it"
        ),
        DerivedColumn(
            name="registered_voters", type="integer",
            description="voters that lists added in this hour",
        ),
        DerivedColumn(
            name="ballots_issued", type="integer", description="blind signatures given in this hour"
        ),
        DerivedColumn(name="votes_cast", type="integer", description="votes sent in this hour"),
        DerivedColumn(name="votes_accepted", type="integer", description="of these, accepted"),
        DerivedColumn(name="votes_rejected", type="integer", description="of these, not accepted"),
        DerivedColumn(
            name="registered_so_far", type="integer", description="voters registered by its end"
        ),
        DerivedColumn(
            name="accepted_so_far", type="integer", description="votes accepted by its end"
        ),
        DerivedColumn(
            name="turnout", type="decimal",
            description="share of the voters registered by its end whose votes were accepted by "
            "then; empty as long as none is registered",
        ),
        DerivedColumn(
            name="lists_without_count", type="integer",
            description="lists of voters that do not say how many they add: not in the voters",
        ),
        DerivedColumn(
            name="first_activity", type="timestamp", description="first transaction of the hour"
        ),
        DerivedColumn(
            name="last_activity", type="timestamp", description="last transaction of the hour"
        ),
    ),
    key=("contract_id", "hour"),
    scope=("contract_id",),  # an hour changes all later ones: what is so far
    touched={"election_transactions": "SELECT contract_id FROM {touched} AS touched"},
    select=r"""
        WITH told AS (
            SELECT
                contract_id,
                constituency,
                ts,
                operation,
                CASE operation WHEN 'addVotersList' THEN (
                    SELECT sum(
                        substring(
                            coalesce(entry ->> 'intValue', entry ->> 'stringValue')
                            FROM '^\s*(\d{1,15})\s*$'
                        )::bigint
                    )
                    FROM jsonb_array_elements(
                        CASE jsonb_typeof(params) WHEN 'array' THEN params END
                    ) AS entry
                    WHERE entry ->> 'key' = 'votersCount'
                ) END AS voters,
                operation = 'vote' AND rollback IS DISTINCT FROM -1 AND CASE jsonb_typeof(diff)
                    WHEN 'array' THEN
                        diff @? 'strict $[*] ? (@.key starts with "VOTE_")'
                        AND NOT diff @? 'strict $[*] ? (@.key starts with "FAIL")'
                    WHEN 'object' THEN
                        diff @? 'strict $.keyvalue() ? (@.key starts with "VOTE_")'
                        AND NOT diff @? 'strict $.keyvalue() ? (@.key starts with "FAIL")'
                END AS is_accepted
            FROM {election_transactions_of_scopes} AS line
        ),
        hourly AS (
            SELECT
                contract_id,
                date_trunc('hour', ts, 'UTC') AS hour,
                max(constituency) AS constituency,
                coalesce(sum(voters), 0) AS registered_voters,
                count(*) FILTER (WHERE operation = 'blindSigIssue') AS ballots_issued,
                count(*) FILTER (WHERE operation = 'vote') AS votes_cast,
                count(*) FILTER (WHERE is_accepted) AS votes_accepted,
                count(*) FILTER (
                    WHERE operation = 'addVotersList' AND voters IS NULL
                ) AS lists_without_count,
                min(ts) AS first_activity,
                max(ts) AS last_activity
            FROM told
            GROUP BY 1, 2
        ),
        running AS (
            SELECT
                *,
                max(constituency) OVER (PARTITION BY contract_id) AS its_name,
                sum(registered_voters) OVER so_far AS registered_so_far,
                sum(votes_accepted) OVER so_far AS accepted_so_far
            FROM hourly
            WINDOW so_far AS (PARTITION BY contract_id ORDER BY hour)
        )
        SELECT
            contract_id,
            hour,
            its_name AS constituency,
            registered_voters,
            ballots_issued,
            votes_cast,
            votes_accepted,
            votes_cast - votes_accepted AS votes_rejected,
            registered_so_far,
            accepted_so_far,
            round(accepted_so_far / nullif(registered_so_far, 0), 4) AS turnout,
            lists_without_count,
            first_activity,
            last_activity
        FROM running
    """,
    of_scopes={
        "election_transactions": "SELECT line.* FROM {election_transactions} AS line "
        "JOIN {scope} AS scope USING (contract_id)"
    },
    # A file is of one contract: its rows lie together, and an index by blocks costs nothing.
    indexes={
        "election_transactions": (
            "USING brin (contract_id text_bloom_ops) WITH (pages_per_range = 8, autosummarize)",
        )
    },
    totals=(
        "registered_voters", "ballots_issued", "votes_cast", "votes_accepted", "votes_rejected",
        "lists_without_count",
    ),
    first="hour DESC, contract_id",
    chart=LineChart(
        by="hour", lines=("ballots_issued", "votes_cast", "votes_accepted", "votes_rejected")
    ),
)  # fmt: skip
