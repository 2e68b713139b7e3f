//! Invitations: how somebody becomes a user, or comes in again.
//!
//! Nothing here sends mail: whoever invites is told a secret once and hands it on. Whoever shows it is the person meant.
//! It is 256 random bits and only its SHA-256 is kept, so it can be neither guessed nor read from the database; it ends
//! with the invitation, and shortly after it was used: a repeated request is answered as the first one was.
//!
//! A user is meant by their id alone. The address in a profile is whatever its owner wrote there and nobody has checked it:
//! an invitation by address that meant whoever has it could be taken by anyone who writes it down first, and the secret would
//! put the rights of the person meant into that stranger's user. So its secret makes somebody new.

use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use sha2::{Digest, Sha256};

use crate::error::CatalogError;
use crate::ids::Moment;
use crate::sql::{Row, Sql, Value, transaction};
use crate::users::{self, Profile, User};
use crate::{names, teams};

/// Most invitations that are kept.
pub const MOST: u32 = 500;
/// Most teams of one.
pub const MOST_TEAMS: usize = 50;
/// How long a secret that was used may be shown again, for clients that did not hear the answer.
const REPEATABLE: SignedDuration = SignedDuration::from_mins(10);
/// How long an invitation that has ended is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    pub id: String,
    pub invitation: Invitation,
    pub invited_by: String,
    pub created: Timestamp,
    pub accepted: Option<Timestamp>,
    pub declined: Option<Timestamp>,
    /// Who came of it.
    pub accepted_by: Option<String>,
}

/// Who is invited to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Somebody who is known already.
    pub user_id: Option<String>,
    pub name: Option<String>,
    pub login_email: Option<String>,
    pub teams: Vec<String>,
    pub expires: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    Pending,
    Accepted,
    Declined,
    Expired,
}

impl InviteState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Accepted => "Accepted",
            Self::Declined => "Declined",
            Self::Expired => "Expired",
        }
    }
}

impl Invite {
    pub fn state(&self, now: Timestamp) -> InviteState {
        if self.accepted.is_some() {
            InviteState::Accepted
        } else if self.declined.is_some() {
            InviteState::Declined
        } else if self.invitation.expires <= now {
            InviteState::Expired
        } else {
            InviteState::Pending
        }
    }
}

const COLUMNS: &str = "id, user_id, name, login_email, teams_json, invited_by, created, expires, accepted, declined, accepted_by";

fn from_row(row: &Row<'_>) -> Result<Invite, CatalogError> {
    Ok(Invite {
        id: row.text("id")?,
        invitation: Invitation {
            user_id: row.opt_text("user_id")?,
            name: row.opt_text("name")?,
            login_email: row.opt_text("login_email")?,
            teams: row.json("teams_json")?,
            expires: row.time("expires")?,
        },
        invited_by: row.text("invited_by")?,
        created: row.time("created")?,
        accepted: row.opt_time("accepted")?,
        declined: row.opt_time("declined")?,
        accepted_by: row.opt_text("accepted_by")?,
    })
}

fn hash(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Records an invitation. `secret`: random, to be shown once.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] beyond [`MOST`], and for the address of a user who is not
/// named by id: whoever invites has to say whether that is the one.
pub async fn create<S: Sql>(
    sql: &S,
    invitation: &Invitation,
    secret: &str,
    by: &str,
    moment: Moment<'_>,
) -> Result<Invite, CatalogError> {
    if let Some(name) = &invitation.name {
        names::display("spec.name", name)?;
    }
    if invitation.teams.len() > MOST_TEAMS {
        return Err(CatalogError::invalid(
            "spec.teams",
            format!("must have at most {MOST_TEAMS} members"),
        ));
    }
    let now = moment.now;
    transaction(sql, async |sql| {
        let oldest = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        sql.query("DELETE FROM invites WHERE expires < ?1", &[oldest.into()])
            .await?;
        let counted = sql.query("SELECT count(*) AS total FROM invites", &[]).await?;
        if counted.total()? >= MOST {
            return Err(CatalogError::Conflict(format!(
                "There are {MOST} invites already, which is the most there may be; delete some."
            )));
        }
        for (at, team) in invitation.teams.iter().enumerate() {
            if teams::find(sql, team).await?.is_none() {
                let message = format!("there is no team '{team}'");
                return Err(CatalogError::invalid(format!("spec.teams[{at}]"), message));
            }
        }
        let user = invited(sql, invitation).await?;
        if let (None, Some(holder)) = (&user, holder(sql, invitation).await?) {
            return Err(CatalogError::Conflict(format!(
                "User '{}' has this address already. If that is who is meant, invite them by 'userId'.",
                holder.id
            )));
        }
        let rows = sql
            .query(
                &format!(
                    "INSERT INTO invites (secret_hash, {COLUMNS})
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, NULL, NULL) RETURNING {COLUMNS}"
                ),
                &[
                    hash(secret).into(),
                    moment.ids.uuid().into(),
                    Value::from(user.map(|user| user.id)),
                    Value::from(invitation.name.as_deref()),
                    Value::from(invitation.login_email.as_deref()),
                    serde_json::to_string(&invitation.teams).unwrap_or_default().into(),
                    by.into(),
                    now.into(),
                    invitation.expires.into(),
                ],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| CatalogError::corrupt("id", "no row"))?;
        from_row(&row)
    })
    .await
}

/// The user whom an invitation names, if it names one.
///
/// Errors: [`CatalogError::Invalid`] for an id that nobody has.
pub async fn invited<S: Sql>(
    sql: &S,
    invitation: &Invitation,
) -> Result<Option<User>, CatalogError> {
    let Some(id) = &invitation.user_id else {
        return Ok(None);
    };
    match users::find(sql, id).await? {
        Some(user) => Ok(Some(user)),
        None => Err(CatalogError::invalid(
            "spec.userId",
            "there is no such user",
        )),
    }
}

/// Who has the address of an invitation.
async fn holder<S: Sql>(sql: &S, invitation: &Invitation) -> Result<Option<User>, CatalogError> {
    match &invitation.login_email {
        Some(email) => users::by_email(sql, email).await,
        None => Ok(None),
    }
}

/// All invitations, newest first.
pub async fn list<S: Sql>(sql: &S) -> Result<Vec<Invite>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM invites ORDER BY created DESC, id"),
            &[],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// One invitation.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(sql: &S, id: &str) -> Result<Invite, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM invites WHERE id = ?1"),
            &[id.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("Invite", id))?;
    from_row(&row)
}

/// The invitation with this secret, open or not.
pub async fn by_secret<S: Sql>(sql: &S, secret: &str) -> Result<Option<Invite>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM invites WHERE secret_hash = ?1"),
            &[hash(secret).into()],
        )
        .await?;
    rows.first().map(|row| from_row(&row)).transpose()
}

/// Takes an invitation back. Says whether there was one. Who accepted it stays.
pub async fn delete<S: Sql>(sql: &S, id: &str) -> Result<bool, CatalogError> {
    let rows = sql
        .query(
            "DELETE FROM invites WHERE id = ?1 RETURNING id",
            &[id.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// What somebody who accepts says of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Introduction {
    pub name: Option<String>,
    pub login_email: Option<String>,
}

/// Takes up the invitation with this secret: makes the user, or lets in the one that it names, and puts them into its teams.
///
/// Errors: [`CatalogError::Invalid`] for a secret of no open invitation; [`CatalogError::Conflict`] for an address of
/// their own choice that somebody has.
pub async fn accept<S: Sql>(
    sql: &S,
    secret: &str,
    introduction: &Introduction,
    moment: Moment<'_>,
) -> Result<User, CatalogError> {
    let now = moment.now;
    transaction(sql, async |sql| {
        let closed = || CatalogError::invalid("secret", "is not that of an open invite");
        let invite = by_secret(sql, secret).await?.ok_or_else(closed)?;
        match (invite.state(now), invite.accepted, &invite.accepted_by) {
            (InviteState::Pending, _, _) => {}
            (InviteState::Accepted, Some(at), Some(user))
                if now.duration_since(at) <= REPEATABLE =>
            {
                return match users::find(sql, user).await? {
                    Some(user) if user.profile.is_active => Ok(user),
                    _ => Err(closed()),
                };
            }
            _ => return Err(closed()),
        }
        let invitation = &invite.invitation;
        let user = match &invitation.user_id {
            Some(id) => {
                let user = users::find(sql, id).await?.ok_or_else(closed)?;
                users::activate(sql, user, now).await?
            }
            None => {
                // Somebody who has taken the address meanwhile keeps nobody out, and nobody takes it from them.
                let free = holder(sql, invitation).await?.is_none();
                let invited = invitation.login_email.as_ref();
                let own = introduction.login_email.as_ref();
                let email = own.or(invited.filter(|_| free));
                let name = introduction
                    .name
                    .as_ref()
                    .or(invitation.name.as_ref())
                    .or(own)
                    .or(invited);
                let profile = Profile {
                    name: name.cloned().unwrap_or_else(|| "new user".into()),
                    login_email: email.cloned(),
                    details: Map::new(),
                    is_active: true,
                };
                users::create(sql, &moment.ids.uuid().to_string(), &profile, now).await?
            }
        };
        join(sql, &invite, &user.id, now).await?;
        Ok(user)
    })
    .await
}

/// Inside a transaction: what an invitation promises. A team that is gone meanwhile is passed over.
async fn join<S: Sql>(
    sql: &S,
    invite: &Invite,
    user: &str,
    now: Timestamp,
) -> Result<(), CatalogError> {
    for team in &invite.invitation.teams {
        if teams::find(sql, team).await?.is_some() {
            teams::add_member(sql, team, user, false).await?;
        }
    }
    sql.query(
        "UPDATE invites SET accepted = ?2, accepted_by = ?3 WHERE id = ?1",
        &[Value::from(&invite.id), now.into(), user.into()],
    )
    .await?;
    Ok(())
}

/// What a user is invited to by their id and has not answered.
pub async fn pending<S: Sql>(
    sql: &S,
    user: &str,
    now: Timestamp,
) -> Result<Vec<Invite>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {COLUMNS} FROM invites WHERE user_id = ?1 AND accepted IS NULL AND declined IS NULL
                 AND expires > ?2 ORDER BY created, id"
            ),
            &[user.into(), now.into()],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// A user takes up whatever they are invited to. Says to how much.
pub async fn accept_own<S: Sql>(
    sql: &S,
    user: &str,
    now: Timestamp,
) -> Result<usize, CatalogError> {
    transaction(sql, async |sql| {
        let open = pending(sql, user, now).await?;
        for invite in &open {
            join(sql, invite, user, now).await?;
        }
        Ok(open.len())
    })
    .await
}

/// What a user answers to an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Accept,
    Decline,
}

/// A user answers one invitation that is theirs. The same answer again changes nothing.
///
/// Errors: [`CatalogError::NotFound`], also for somebody else's; [`CatalogError::WrongState`] if it is not open.
pub async fn answer_own<S: Sql>(
    sql: &S,
    user: &str,
    id: &str,
    answer: Answer,
    now: Timestamp,
) -> Result<(), CatalogError> {
    transaction(sql, async |sql| {
        let invite = get(sql, id).await?;
        if invite.invitation.user_id.as_deref() != Some(user) {
            return Err(CatalogError::not_found("Invite", id));
        }
        match (invite.state(now), answer) {
            (InviteState::Pending, Answer::Accept) => join(sql, &invite, user, now).await,
            (InviteState::Pending, Answer::Decline) => {
                sql.query(
                    "UPDATE invites SET declined = ?2 WHERE id = ?1",
                    &[id.into(), now.into()],
                )
                .await?;
                Ok(())
            }
            (InviteState::Accepted, Answer::Accept) | (InviteState::Declined, Answer::Decline) => {
                Ok(())
            }
            (state, _) => Err(CatalogError::WrongState(format!(
                "The invite is not open: its state is {}.",
                state.name()
            ))),
        }
    })
    .await
}
