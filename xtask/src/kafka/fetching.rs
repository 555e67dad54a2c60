//! Kafka itself: its jars, fetched once with Maven from Maven Central, and the Java that runs them.
//!
//! Maven settles which versions belong together from a pom that is written next to the jars. That pom, kept as a stamp once
//! all jars are there, tells whether they are complete and whether they are the ones that this source asks for. Java and
//! Maven are installed where they are missing, if that can be done: by apt-get, as root.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::{at, remove, write};
use crate::apt::{provide, runs};

/// The release of Kafka.
pub(super) const KAFKA: &str = "4.1.1";
/// The oldest Java that this release's brokers run on.
const OLDEST_JAVA: u32 = 17;

const POM: &str = "pom.xml";
const LIBS: &str = "libs";
/// Holds the pom that all jars have been fetched for.
const STAMP: &str = "libs.complete";

/// What is fetched: the brokers; the command line tools, without Kafka Connect, which they are listed to need and only
/// one of them does; and what turns the brokers' logging (SLF4J 1) into lines. The version of Log4j is Kafka's own.
fn pom() -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>takhin</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{KAFKA}</version>
      <exclusions>
        <exclusion>
          <groupId>*</groupId>
          <artifactId>*</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.24.3</version>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-dependency-plugin</artifactId>
        <version>3.8.1</version>
      </plugin>
    </plugins>
  </build>
</project>
"#
    )
}

/// Sees to it that Java and all jars are there.
pub(super) fn provide_kafka(home: &Path) -> io::Result<()> {
    let java = format!("Java {OLDEST_JAVA} or newer");
    provide(&java, "default-jre-headless", || java_version().is_some_and(|version| version >= OLDEST_JAVA))?;
    if is_complete(home)? {
        return Ok(());
    }
    provide("Maven", "maven", || runs("mvn", &["--version"]))?;
    fetch(home)
}

/// Java with Kafka's classes, in the directory of the cluster, so that every path it is given can be a short and plain one:
/// the way there may hold spaces, colons or commas, which separate paths in Java's arguments and Kafka's settings.
pub(super) fn java(home: &Path, options: &[&str], class: &str) -> Command {
    let mut java = Command::new("java");
    java.args(options).args(["-cp", "libs/*", class]).current_dir(home).stdin(Stdio::null());
    java
}

fn is_complete(home: &Path) -> io::Result<bool> {
    let stamp = home.join(STAMP);
    match fs::read_to_string(&stamp) {
        Ok(fetched) => Ok(fetched == pom()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(&stamp)(error)),
    }
}

fn fetch(home: &Path) -> io::Result<()> {
    let (libs, stamp) = (home.join(LIBS), home.join(STAMP));
    println!("fetching Kafka {KAFKA} and what it needs from Maven Central, about 45 MB, once, into {}", libs.display());
    let start = Instant::now();
    remove(&stamp)?;
    remove(&libs)?;
    write(&home.join(POM), &pom())?;

    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--no-transfer-progress", "--file", POM]);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"]);
    // Whoever reads what this task prints need not read what Maven has to say.
    let status = maven.current_dir(home).stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.map_err(|error| io::Error::new(error.kind(), format!("mvn could not be started: {error}")))?;
    if !status.success() {
        return Err(io::Error::other(format!("Maven could not fetch Kafka, {status}")));
    }

    let (jars, bytes) = weigh(&libs).map_err(at(&libs))?;
    println!("fetched {jars} jars, {:.1} MB, in {:.1} s", megabytes(bytes), start.elapsed().as_secs_f64());
    write(&stamp, &pom())
}

/// How many files a directory holds, and their bytes.
fn weigh(directory: &Path) -> io::Result<(usize, u64)> {
    let mut weight = (0, 0);
    for entry in fs::read_dir(directory)? {
        weight = (weight.0 + 1, weight.1 + entry?.metadata()?.len());
    }
    Ok(weight)
}

#[allow(clippy::cast_precision_loss)] // Sizes of files.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The version of the Java that runs here, if one does.
fn java_version() -> Option<u32> {
    let output = Command::new("java").arg("-version").stdin(Stdio::null()).output().ok()?;
    version_said(&String::from_utf8_lossy(&output.stderr))
}

/// The main version in what `java -version` says. Java 8 and older say 1.8 or the like: 1.
fn version_said(said: &str) -> Option<u32> {
    let quoted = said.split('"').nth(1)?;
    quoted.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_its_first_number() {
        assert_eq!(version_said("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment"), Some(17));
        assert_eq!(version_said("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(version_said("openjdk version \"26-ea\" 2026-03-17"), Some(26));
        assert_eq!(version_said("java version \"1.8.0_401\""), Some(1));
        // Options that the environment sets are said first, without quotes.
        assert_eq!(version_said("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"17.0.1\""), Some(17));
        assert_eq!(version_said("The operation couldn't be completed. Unable to locate a Java Runtime."), None);
    }

    #[test]
    fn jars_are_complete_only_for_the_pom_they_were_fetched_for() {
        let home = std::env::temp_dir().join(format!("takhin-xtask-fetching-{}", std::process::id()));
        fs::create_dir_all(&home).expect("a directory for the test");
        assert!(!is_complete(&home).expect("no stamp is no error"));
        fs::write(home.join(STAMP), pom().replace(KAFKA, "4.0.0")).expect("a stamp");
        assert!(!is_complete(&home).expect("a stamp"), "those of another release");
        fs::write(home.join(STAMP), pom()).expect("a stamp");
        assert!(is_complete(&home).expect("a stamp"));
        fs::remove_dir_all(&home).expect("the test's directory");
    }
}
