//! Why a command failed, what to do next, and with which code it exits: 1 if it was refused or failed, 2 if it was
//! asked for in a wrong way, 3 if the server can't be reached. Whoever closes the pipe that a command writes to has
//! seen enough: that is no failure.

use std::{io, process::ExitCode};

use takhin_client::Error;

#[derive(Debug)]
pub(in crate::cli) enum Failure {
    /// Nobody reads the output any more.
    PipeClosed,
    Failed {
        message: String,
        hint: Option<&'static str>,
    },
    WrongUsage(String),
    Unreachable(String),
}

impl Failure {
    pub(in crate::cli) fn new(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: None }
    }

    /// Says before the message what it is about.
    pub(in crate::cli) fn about(self, subject: &str) -> Self {
        match self {
            Self::Failed { message, hint } => Self::Failed { message: format!("{subject}: {message}"), hint },
            other => other,
        }
    }

    /// Says it on stderr; what is returned is the exit code.
    pub(in crate::cli) fn tell(self) -> ExitCode {
        let (code, message, hint) = match self {
            Self::PipeClosed => return ExitCode::SUCCESS,
            Self::Failed { message, hint } => (1, message, hint),
            Self::WrongUsage(message) => (2, message, Some("--help says what there is")),
            Self::Unreachable(message) => (3, message, Some(UNREACHABLE)),
        };
        eprintln!("takhin: {message}");
        if let Some(hint) = hint {
            eprintln!("takhin: {hint}");
        }
        ExitCode::from(code)
    }
}

const UNREACHABLE: &str =
    "is it running? `takhin serve` starts one here; --server or TAKHIN_SERVER says where another one is";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Connection { .. } => Self::Unreachable(error.to_string()),
            Error::Invalid(why) => Self::WrongUsage(why.clone()),
            Error::Api(api) => Self::Failed { message: error.to_string(), hint: hint(&api.code, api.status) },
            Error::UnexpectedAnswer(_) => Self::Failed { message: error.to_string(), hint: hint("not_takhin", 200) },
            _ => Self::new(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::PipeClosed } else { Self::new(error.to_string()) }
    }
}

/// What to do about a refusal.
fn hint(code: &str, status: u16) -> Option<&'static str> {
    Some(match code {
        "topic_not_found" => "`takhin topic list` shows those there are; `takhin topic create NAME` makes one",
        "key_not_found" => "`takhin key list` shows those there are",
        "keys_not_required" => {
            "this server answers everybody: --require-keys makes it ask for keys; --data-dir makes them"
        }
        "topic_exists" => "`takhin topic alter` changes its settings",
        "group_not_found" => "`takhin group list` shows those there are",
        "group_active" => "stop its consumers first; `takhin group describe` shows them",
        "no_committed_offset" => "-o beginning or -o end says where to begin",
        "offset_out_of_range" => "`takhin topic describe` shows where its partitions begin and end",
        "storage_unavailable" => "the server can't write to its disk; its log and `takhin ping` say more",
        "not_takhin" => "does --server lead to Takhin?",
        _ if status == 401 => "--api-key or TAKHIN_API_KEY gives a key",
        _ if status == 403 => "this key may not do that; --api-key or TAKHIN_API_KEY gives another one",
        _ => return None,
    })
}
