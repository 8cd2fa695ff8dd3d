//! What provisioning is asked: the only place where wire messages come in.

use contract::v1::{
    AbortRenewal, AnswerAdmission, CertificateUsed, DecideAdmission, GetAuthorities, Issue, Kicked,
    ListAdmissions, ListCertificates, ListClaims, ListManufacturers, ListRenewals, ListRenewing,
    ListRevocations, PublishLists, PutClaim, PutManufacturer, PutSecret, RecordCertificate, RefuseFactory,
    RemoveManufacturer, RenewMany, RenewServer, Revoke, RevokeMany, ShowCertificate, Sign, TakeRevocations,
};

service::requests! {
    /// A request to provisioning, by verb.
    pub enum Request {
        "sign" => Sign(Sign),
        "renew" => Renew(Sign),
        "record" => Record(RecordCertificate),
        "take-revocations" => TakeRevocations(TakeRevocations),
        "put-claim" => PutClaim(PutClaim),
        "claims" => Claims(ListClaims),
        "put-secret" => PutSecret(PutSecret),
        "admissions" => Admissions(ListAdmissions),
        "admit" => Admit(DecideAdmission),
        "turn-away" => TurnAway(DecideAdmission),
        "answer-admission" => AnswerAdmission(AnswerAdmission),
        "admission-questions" => AdmissionQuestions(ListAdmissions),
        "put-manufacturer" => PutManufacturer(PutManufacturer),
        "manufacturers" => Manufacturers(ListManufacturers),
        "remove-manufacturer" => RemoveManufacturer(RemoveManufacturer),
        "refuse-factory" => RefuseFactory(RefuseFactory),
        "issue" => Issue(Issue),
        "renew-server" => RenewServer(RenewServer),
        "revoke" => Revoke(Revoke),
        "revoke-many" => RevokeMany(RevokeMany),
        "publish-lists" => PublishLists(PublishLists),
        "revocations" => Revocations(ListRevocations),
        "renew-many" => RenewMany(RenewMany),
        "abort-renewal" => AbortRenewal(AbortRenewal),
        "renewals" => Renewals(ListRenewals),
        "renewing" => Renewing(ListRenewing),
        "show" => Show(ShowCertificate),
        "list" => List(ListCertificates),
        "authorities" => Authorities(GetAuthorities),
        "used" => Used(CertificateUsed),
        "kicked" => Kicked(Kicked),
    }
}

#[cfg(test)]
mod tests {
    use contract::{id::ServiceName, verb::VERBS};

    use super::Request;

    #[test]
    fn every_verb_of_the_table_is_read() {
        let own = VERBS
            .iter()
            .filter(|verb| verb.service == ServiceName::Provisioning);
        let names = own
            .map(|verb| verb.name)
            .filter(|name| !contract::verb::OF_EVERY_SERVICE.contains(name));
        assert_eq!(names.collect::<Vec<_>>(), Request::VERBS);
    }
}
