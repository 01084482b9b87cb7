-- What the postings after the command $1 add to each account; issues, burns and expiries apart.
select
    account,
    member,
    asset,
    programme,
    case when base.account_word(account) = 'outside' and asset > 0 then reason else '' end as reason,
    sum(amount) as amount
from base.postings
where sequence > $1
group by all;
