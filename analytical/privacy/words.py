"""Words by which a text announces something personal, and words that look like names and are none."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from .lazy import lazy

__all__ = [
    "DENIED",
    "DOUBTFUL",
    "HEALTH",
    "NOT_NAMES",
    "PEOPLE",
    "RESERVED",
    "denied_key",
    "first_names",
    "fold",
    "words",
]


@cache
def first_names() -> frozenset[str]:
    """Return the given names of the data file, lower case, without accents; read when first asked for."""
    text = files(__package__).joinpath("names.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


_FOLD = str.maketrans(
    "àáâãäåāăąçćčďèéêëēėęěğìíîïīıłñńňòóôõöøőřśşšșťțùúûüūůűýÿźżž",
    "aaaaaaaaacccdeeeeeeeegiiiiiilnnnooooooorsssstt" + "uuuuuuuyyzzz",
)


def fold(word: str) -> str:
    """Return a word in lower case without the accents of Latin letters."""
    return word.lower().translate(_FOLD)


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


#: Path segments behind which a person's name or handle stands.
PEOPLE = words(
    "user users u member members profile profiles people person persons author authors customer customers patient "
    "patients employee employees student students teacher teachers contact contacts friend friends player players "
    "seller sellers buyer buyers guest guests subscriber subscribers follower followers following utilisateur "
    "utilisateurs benutzer nutzer mitglied mitglieder kunde kunden usuario usuarios utente utenti gebruiker "
    "gebruikers "
    "perfil profil profils profile-page account accounts konto compte cuenta conta in home by uid userid username "
    "user-profile userprofile wer membre membres miembro miembros klant klanten uzytkownik brukere anvandare "
    "client clients cliente clientes clienti usuaria usuarias usuarios utilizador utilizadores uzytkownicy kundin "
    "patientin pazienti paciente pacientes paziente alumno alumnos aluno alunos mitarbeiter empleado empleados"
)

#: Singular words that a page of the site itself follows more often than a person's name: only a name-like one counts.
DOUBTFUL = words(
    "account accounts profile konto compte cuenta conta in home by contact guest following people person "
    "client clients "
    "cliente clientes clienti mitarbeiter"
)

#: What stands behind a collection of people and names none of them.
RESERVED = words(
    "about access account accounts action actions activate activation activity add address addresses admin all "
    "alerts api "
    "apps archive assets auth avatar badges bank benefits billing blocked blog bookmarks card cards cart change "
    "change-password chat checkout comments communication confirm confirmation contact contacts cookies create "
    "dashboard "
    "data deactivate default delete details devices directory documents done downloads edit email emails error "
    "export faq "
    "favorites favourites feed feedback files filter find followers following forgot forgot-password forms friends "
    "groups "
    "guide help history home id image images import inbox index info integrations invite invites invitation "
    "invitations "
    "invoice invoices jobs join keys language latest leaderboard legal list lists loading loans locale location log "
    "login "
    "logout logo manage map me media members membership menu message messages mine my myaccount name new news "
    "newsletter "
    "next notes notifications oauth online open order orders overview page pages partners password passwords payment "
    "payments pending permissions personal photo photos picture plan plans popular portal posts preferences premium "
    "preview previous pricing print privacy products profile profiles projects public purchases quick-start ranking "
    "recent "
    "recover recovery referral referrals refresh register registration remove report reports requests reset "
    "reset-password "
    "resources results returns reviews rewards roles rss saved schedule search security self services session "
    "sessions "
    "settings setup share shop sign-in sign-out sign-up signin signout signup sitemap sort sso start stats "
    "statistics "
    "status stories subscribe subscription subscriptions success suggestions summary support sync tags tasks team "
    "teams "
    "templates terms test thank-you thanks tickets timeline today tokens tools top transactions transfer trash "
    "trending "
    "unlock unread unsubscribe update updates upgrade upload user username users verification verify videos view "
    "wallet "
    "welcome widgets wishlist work admin-panel en de fr es it nl pt pl ja zh us uk csv json xml html pdf "
    "bestellungen "
    "einstellungen anmelden abmelden registrieren passwort uebersicht hilfe neu parametres commandes connexion "
    "inscription "
    "nouveau pedidos ajustes configuracion nuevo entrar salir ordini impostazioni nuovo"
)

#: Capitalised words that follow a greeting, a title or an account word and are nobody's name.
NOT_NAMES = words(
    "a access account accounts address admin administration administrator agency agreement air alert alerts all "
    "america "
    "analytics and android angular answers anonymous api app apple application apps archive area art article at "
    "award "
    "awards baby back bank bar basket bean beach beast beginners benefits berlin best beta better beyond big "
    "billing blog "
    "board book booking books box brand bronner business buyer calendar call campaign car card care career cart "
    "case cat "
    "catalog center centre chart chat check checkout child children china choice christmas church city class clean "
    "cleaner "
    "clothing cloud club code coffee collection college comments community companies company conference contact "
    "content "
    "control cookie corner corp country course cover create credit css customer customers daily dashboard data "
    "database "
    "dates day days deal deals default delivery demo department design desk details developer developers device "
    "digital "
    "director directory discount docs documentation dog download downloads drama dre drive earth edit edition editor "
    "education email emails energy england english error europe event events everybody everyone example experience "
    "expert "
    "explorer export express fall family fans faq fashion feature features feedback file films finance find first "
    "flow folks "
    "food football for form forms forum forums founder france free freelancers friday friend friends from front "
    "full fun "
    "furniture future gallery game games garden general germany get gift global go gold good google green group "
    "groups guest "
    "guests guide guidelines guides guys halloween hauschka health help here hiring history holiday holidays home "
    "homepage "
    "hotel hour house how hub id idea ideas import in india info information inn insights install institute "
    "insurance "
    "integration interface internet interview intro introduction investors invoice ios island it item items java "
    "javascript "
    "job jobs journey jungle kids king kit kitchen kitty knowledge lab ladies lady landing language laravel law "
    "lead leads "
    "learning lesson letter level life light line link linux list live local location log login london love loyalty "
    "lunch "
    "magazine mail main management manager manual map market marketing martens master mate media meeting member "
    "members "
    "membership men menu message messages mexico mobile mode model monday money month moon morning mother movie "
    "movies mum "
    "muscle museum music my name network neighbor new news newsletter next night node note notes number numbers "
    "oetker of off "
    "offer offers office on one online open options or order orders organization our out outlet overview page pages "
    "panel "
    "paper parents paris park part partner partners party password payment payments people pepper perfect "
    "permissions "
    "personal pet phone photo photos php place plan plans platform player plus podcast policy pony popular portal "
    "porter "
    "portfolio post posts potato preferences premium press pricing print privacy prize pro problem process product "
    "production products professional profile program project projects promo public purchase python quality question "
    "questions quick quiz quote rails reader readers real recipe recipes record records red references register "
    "registration "
    "release remote rental report reports request research resource resources restaurant results return returns "
    "review reviews "
    "reward rewards right roast robot role roles room rooms ruby rust safety sale sales santa saturday school "
    "science scholl "
    "screen search season secret section security segment segments seller service services session set settings "
    "setup seuss "
    "shirts shoes shop shopping show sidebar sign silver simple site size slack small smart social software "
    "solutions "
    "something spain special sport sports spring staff stage standard star start startup states statistics stats "
    "status step "
    "steps stock store stories story strange strategy street student students studio style subscriber subscribers "
    "subscription success summary summer sunday sunshine supplier support survey sweet system systems tab table "
    "talk task "
    "tax team teams tech technology template templates terms test testing text the theme there things this time "
    "tips title "
    "to today token tokens tomorrow tool toolkit tools top tour track tracking traffic training transfer "
    "translation travel "
    "traveler trends trip tutorial tuesday type uk understanding union unit united universe university unlimited "
    "update "
    "updates upgrade us usa user users vacation value van vegas verification version via video videos view vip "
    "virtual "
    "visitor visitors vs vue walk wallet water we weather web webinar website wedding week weekend weekly welcome "
    "west what "
    "who why wiki window windows winter wish with women wonder wood word work workflow workshop world worldwide "
    "writing xbox "
    "year years yoga york you young your yours youtube zone welt alle zusammen kunde kunden leute freunde leser "
    "besucher gast damen herren tous toutes monde clients client mundo todos todas amigos amigo clienti cliente "
    "mondo tutti "
    "iedereen allemaal wereld alla swiat swiecie wszystkim und et y e i bei im zu zum zur auf auf unserer unsere "
    "chez sur "
    "dans sir madam valued user- customer- colleague colleagues hiring- subscriber- reader- hr fellow darling diary "
    "lord god "
    "fresh fresh- rabbit moto barbie nature sailor honey dad mom grandma grandpa teacher doctor nurse boss mister "
    "einstellungen "
    "uebersicht bestellungen bearbeiten anlegen erstellen passwort sicherheit daten angebot service- parametres "
    "securite "
    "configuracion seguridad impostazioni sicurezza voucher error- agent agents engine rights experience- "
    "acquisition "
    "journey- satisfaction lifetime retention relationship churn onboarding persona personas stories- flow- "
    "generated "
    "deutschland osterreich schweiz frankreich italien spanien europa europe espana brasil brazil italia portugal "
    "polska nederland sverige norge danmark suomi argentina colombia chile peru canada australia asia africa "
    "friendly centric facing defined testimonial testimonials portal- zero null none unknown undefined true false n/a"
)

#: Words of health, in a search that strict() takes out.
HEALTH = words(
    "abortion abtreibung addiction adhd aids alcoholism allergy alzheimer anorexia antidepressant anxiety arthritis "
    "asthma "
    "autism biopsy bipolar bulimia cancer cancro cancer- chemo chemotherapy chlamydia cholesterol contraception "
    "contraceptive "
    "copd covid dementia demenz depression depresion depressione depressive diabetes diabete diagnosis dialysis "
    "disease "
    "disorder doctor eczema embarazo enceinte endometriosis epilepsy erectile fertility gonorrhea grossesse "
    "headache hepatitis "
    "herpes hiv hospital hpv hypertension impotence incontinence infertility insomnia insulin ivf krebs kidney "
    "leukemia lupus "
    "medication melanoma menopause mental migraine miscarriage obesity oncology opioid pain parkinson pregnancy "
    "pregnant "
    "prescription prozac psoriasis psychiatrist psychologist psychotherapy ptsd rehab schizophrenia schwanger "
    "schwangerschaft std sti stroke suicide suicidal symptom symptoms symptome syphilis therapist therapy therapie "
    "tumor "
    "tumour urology vaccine vasectomy viagra xanax"
)

# -- keys of properties

_SPLIT = lazy(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")

# A key with one of these parts names something personal, whatever stands beside it.
_PARTS = words(
    "email emails mailaddress emailaddress phone phones telephone telefon telefono telefone msisdn fax mobilephone "
    "phonenumber ssn nino nhs cpf cnpj pesel bsn dni nif curp passport passwort password passwords passwd pwd "
    "passphrase "
    "passcode kennwort contrasena senha wachtwoord secret secrets apikey accesskey jwt bearer cookie cookies "
    "authorization "
    "credential credentials cvv cvc iban bic swift dob birthdate birthday dateofbirth geburtsdatum birth surname "
    "firstname "
    "lastname fullname familyname givenname middlename maidenname username nickname vorname nachname prenom apellido "
    "apellidos cognome sobrenome ipaddress ipaddr remoteaddr clientip userip macaddress imei imsi iccid idfa gaid "
    "aaid latitude longitude lat lng coordinates geolocation creditcard cardnumber ccnumber pan accountnumber "
    "routingnumber "
    "sessionid phpsessid jsessionid sid csrf xsrf otp totp mfa postcode zipcode postalcode plz streetaddress "
    "useragent "
    "token privatekey signature ipv4 ipv6 telefonnummer mobilnummer handynummer cellphone mobilenumber hausnummer "
    "adresse direccion indirizzo endereco steuerid steuernummer nacimiento nascimento naissance nascita geboortedatum "
    "geburtstag cardholder straße телефон телефона почта фамилия адрес пароль паспорт"
)
# ... unless one of these says that it counts or describes the thing.
_COUNTS = words(
    "count counts number_of total max min limit used usage verified valid validated enabled disabled has is opened "
    "sent "
    "clicked bounced subject template campaign provider domain type kind length strength status optin opt consent "
    "changed confirmed required method input output completion prompt per cost budget open click rate opens clicks "
)
# Keys, with their parts joined, that name something personal as a whole.
_WHOLE = words(
    "ip mail e_mail tel mobile cell handy user_name first_name last_name full_name family_name given_name "
    "middle_name "
    "customer_name client_name patient_name contact_name recipient_name sender_name billing_name shipping_name "
    "card_holder "
    "cardholder account_holder account_holder_name holder_name guest_name passenger_name employee_name student_name "
    "display_name real_name legal_name member_name person_name f_name l_name fname lname ip_address ip_addr "
    "client_ip "
    "user_ip remote_addr remote_ip remote_address x_forwarded_for mac mac_address address address_1 address_2 "
    "address_line "
    "address_line_1 address_line_2 street street_address street_name house_number home_address postal_address "
    "billing_address shipping_address delivery_address mailing_address postal_code post_code zip zip_code adresse "
    "strasse "
    "rue direccion indirizzo endereco credit_card card_number cc_number card_no bank_account account_number "
    "account_no "
    "routing_number tax_id tax_number national_id nationalid id_number id_card social_security "
    "social_security_number "
    "driver_license drivers_license driving_licence license_plate vin api_key access_key private_key secret_key "
    "auth_key "
    "session_token session_key auth auth_token access_token refresh_token id_token pin pin_code security_code geo "
    "geo_lat "
    "geo_lon geo_lng gps lon long location_lat location_lng user_agent user_login login_name contact_email "
    "advertising_id "
    "device_id android_id mobile_number name_first name_last nom_famille nom_de_famille nombre_completo nome_completo "
    "mot_de_passe one_time_code one_time_password verification_code sort_code insurance_number medical_record_number "
    "emergency_contact codigo_postal code_postal steuer_id"
)
_STRICT = words(
    "age gender sex religion ethnicity race nationality diagnosis disease medication health salary income "
    "sexual_orientation "
    "political_party handle login user person gclid fbclid msclkid dclid gbraid wbraid twclid ttclid li_fat_id "
    "yclid igshid "
    "mc_eid mc_cid click_id clickid recipient_id subscriber_id contact_id user_id userid customer_id patient_id "
    "member_id "
    "employee_id student_id account_id external_id twitter_handle search_term search_query query"
)


#: All of these, whatever stands beside them.
DENIED = _PARTS | _WHOLE | _STRICT

#: Where a key's parts could begin one of these in several parts: its first word, or the start of one written together.
_OPENING = frozenset(one.partition("_")[0] for one in _WHOLE) | frozenset(
    one[:size] for one in _PARTS for size in range(2, len(one))
)
#: No property's name has more words.
_MOST_PARTS = 16


def denied_key(key: str, *, strict: bool = False) -> bool:
    """Tell whether the name of a property names something personal.

    A name of more than 16 words is no name, and counts as one that does.

    >>> denied_key("userEmail"), denied_key("billing_address"), denied_key("plan"), denied_key("max_tokens")
    (True, True, False, False)
    """
    parts = [part.lower() if part.isascii() else fold(part) for part in _SPLIT.findall(key[:128])]
    if not parts:
        return False
    if parts[0] == "is" or parts[0] == "has":
        return False
    if len(parts) > _MOST_PARTS:
        return True
    joined = "_".join(parts)
    if joined in _WHOLE or "".join(parts) in _PARTS:
        return True
    if not _PARTS.isdisjoint(parts):
        return _COUNTS.isdisjoint(parts)
    for start, part in enumerate(parts) if len(parts) > 2 else ():
        if part in _OPENING:
            for size in (2, 3):
                run = parts[start : start + size]
                if size <= len(run) < len(parts) and ("_".join(run) in _WHOLE or "".join(run) in _PARTS):
                    return _COUNTS.isdisjoint(parts)
    return strict and joined in _STRICT
